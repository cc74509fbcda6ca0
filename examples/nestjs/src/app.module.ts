import { Module } from '@nestjs/common'
import { NotificationsService } from './notifications.service.js'
import { OrdersController } from './orders.controller.js'

@Module({ controllers: [OrdersController], providers: [NotificationsService] })
export class AppModule {}
